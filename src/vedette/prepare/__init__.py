"""From records to points: pure stages, used live and in replay alike, so that a model meets the same data in both."""
