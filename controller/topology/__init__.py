"""Networks in the words of RFC 8345."""
