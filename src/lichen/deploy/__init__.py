"""What answers: the row path of a release, its HTTP service, and the durable record of every answer."""
