"""Three clocks a stream: last successful poll, newest event upstream, last row landed."""
