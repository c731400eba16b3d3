"""Bulk work: many recordings in one run, chosen by what their transcripts say of themselves."""
