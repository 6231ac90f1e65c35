"""Builds versions of tables: one statement, one contract, one manifest."""
