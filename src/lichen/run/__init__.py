"""Makes it true: opens the backends, carries out plans, moves releases, keeps the audit."""
