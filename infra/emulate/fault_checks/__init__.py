"""Official clients against the gateway, in front of upstreams that fail on purpose."""
