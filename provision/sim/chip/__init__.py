"""What every virtual board has, whatever its chip: power and reset, its flash, and `ChipModel`,
the questions that only a chip can answer."""
