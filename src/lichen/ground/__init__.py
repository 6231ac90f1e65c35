"""What everything stands on: clock, failpoints, durable files, secrets, quoting, digests."""
