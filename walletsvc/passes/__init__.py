"""What a card says in a wallet, and when that changed: templates, content, tags, publishing."""
