--- The commands of the program: `moth predict …`, `moth info …`, and what `moth --help` prints. A command is a module
--- moth.cli_<name> that returns { usage, summary, run }; run gets the words behind it and returns the exit status.
local options = require "moth.options"

local cli = {}

local USAGE = 2

local commands = {}

local help = [==[
usage: moth [options] [script.lua [arguments]]
       moth <command> [arguments]

Without a script: the prompt (or, when standard input is no terminal, the script that comes from there).

  -e code        run code; may be given several times
  -l name        name = require "name"
  -i             the prompt after the script or code; the script's locals are there
  -              the script comes from standard input
  -v, --version  print the version
  -h, --help     print this
%s
environment:
  MOTH_NUM_THREADS  threads to use                MOTH_DATA     directory of the MNIST files
  MOTH_CPU          portable, avx2 or avx512      MOTH_HISTORY  file of the prompt's history; empty: none
  NO_COLOR          no colours
]==]

local function command(name)
    return require("moth.cli_" .. name)
end

--- Prints what the program can do.
---@return integer status
function cli.help()
    local lines = {}
    for _, name in ipairs(commands) do
        lines[#lines + 1] = ("  %-14s %s\n"):format(name, command(name).summary)
    end
    local section = #lines > 0 and "\ncommands (moth <command> --help says more):\n" .. table.concat(lines) or ""
    io.stdout:write((help:format(section)))
    return 0
end

local function wants_help(arguments)
    for _, word in ipairs(arguments) do
        if word == "--" then
            return false
        elseif word == "--help" or word == "-h" then
            return true
        end
    end
    return false
end

--- Runs a command.
---@param name string
---@param ... string
---@return integer status
function cli.run(name, ...)
    local known = false
    for _, other in ipairs(commands) do
        known = known or other == name
    end
    if not known then
        io.stderr:write(("moth: no script and no command '%s'%s; see moth --help\n"):format(name,
            options.nearest(name, commands) and "; did you mean '" .. options.nearest(name, commands) .. "'?" or ""))
        return USAGE
    end
    local arguments = { ... }
    if wants_help(arguments) then
        io.stdout:write(command(name).usage)
        return 0
    end
    return command(name).run(arguments)
end

return cli
