"""The moving part: two in-memory indexes fed by watches, a queue of keys, workers that plan and act."""
