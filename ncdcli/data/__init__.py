"""From dataset cards and the user's files to samples and arrays."""
