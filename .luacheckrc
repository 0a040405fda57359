std = "lua54"
max_line_length = 120
codes = true
files["tests/spec"].std = "lua54+busted"
-- Tables of numbers that a generator wrote.
files["tests/golden"].max_line_length = false
exclude_files = { "build" }
