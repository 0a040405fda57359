--- moth: machine learning in Lua. This file alone decides what is public: the table that it returns.
local core = require "moth.core"

local moth = {
    version = core.version, ---@type string
    seed = core.seed,
    threads = core.threads,
    cpu = core.cpu,
}

-- Parts with a module of their own, one line each: moth.<name> = require "moth.<name>".

return moth
