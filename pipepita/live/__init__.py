"""Online learning on live data: items come in as lines, predictions go out as lines, and labels may come later."""
