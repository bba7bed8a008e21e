"""The rule table and its primitives: everything that decides how an object looks on the other side. Pure."""
