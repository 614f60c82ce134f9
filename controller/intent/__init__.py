"""The intent model (RFC 9315, TMF921, TS 28.312 words) and plain language in."""
