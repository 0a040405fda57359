std = "lua54"
max_line_length = 120
codes = true
-- The engine's own sources: what `require "moth"` gives is a local everywhere.
files["tests/spec"].std = "lua54+busted"
-- In the REPL and with -e, moth is a global; scripts say `local moth = require "moth"`.
exclude_files = { "build" }
