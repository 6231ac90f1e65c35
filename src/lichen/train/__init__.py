"""From labelled rows to a model's files: split by time, encode, learn, keep."""
