"""One file a backend, each found by its entry point and imported by nothing."""
