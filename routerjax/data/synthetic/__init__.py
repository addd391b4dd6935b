"""Tables, gains and logs of known truth."""
