"""What the columns of a table mean: paths into them, rules, values, prompts, times."""
