// The little script of our own that the pages need; everything works without it.
