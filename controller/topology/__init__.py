"""Networks in the words of RFC 8345, their traffic engineering (RFC 8795, RFC 9522) and paths across them."""
