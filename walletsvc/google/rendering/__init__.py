"""From a neutral description and a pass's content to the bodies of Google's resources. Pure.

A body names every field that we ever set, with null for what is absent: in a PATCH that is how
a value goes away, in an insert it means nothing.
"""
