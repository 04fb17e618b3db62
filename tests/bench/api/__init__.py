"""What the open API costs beside what it is made of, in one run on one machine."""
