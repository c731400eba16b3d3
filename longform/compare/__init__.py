"""Two transcripts of one recording, word against word: how much differs, and what and where."""
