"""What Google holds, compared with what we would have it hold, and put right without a sound."""
