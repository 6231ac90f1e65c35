"""Brings rows in: extracts them from their source and lands them on what is there."""
