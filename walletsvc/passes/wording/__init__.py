"""The words of timelines and diagnoses, in every language of the service.

Plain tables, not message catalogues: the command line has no request to translate in, whole
sentences with several values read better side by side, and a test compares the tables.
"""
