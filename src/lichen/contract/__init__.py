"""Holds rows against the promises on their columns, and sets aside those that break one."""
