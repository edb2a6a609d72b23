"""One file a claim; each peer is timed in the same run, interleaved with ours."""
