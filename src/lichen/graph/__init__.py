"""What the project means: assets and their inputs, fingerprints, versions. Pure: no IO, no clock."""
