"""Push streams: what a connector hands over as it arrives, instead of being asked."""
