"""Rehearsals: a draft of the rules tried on the sales of a period, before anybody earns by it.

A bulk job computes each purchase that stands anew, account by account, as if the draft had always
been the rules. It writes its own figures and nothing else.
"""
