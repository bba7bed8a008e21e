"""The rooms put together into one process: what it finds, what serves, what a leader does, and what is started in which order."""
