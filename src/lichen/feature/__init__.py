"""Features of entities, as of an instant: one meaning, joined to labels offline and looked up online."""
