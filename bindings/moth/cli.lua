--- The commands of the program: `moth predict …`, `moth info …`, and what `moth --help` prints. A command is a module
--- moth.cli_<name> that returns { usage, summary, run }; run gets the words behind it and returns the exit status.
local options = require "moth.options"

local cli = {}

local USAGE = 2

local commands = { "info", "predict" }

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

--- Reads the words behind a command: options without a value are true, others the word that follows.
---@param words string[]
---@param known table<string, "flag"|"value"> by name with its dashes
---@return table? options nil where they are wrong
---@return string[]|string rest the other words, or what is wrong
function cli.read(words, known)
    local read, rest, i = {}, {}, 1
    while i <= #words do
        local word = words[i]
        local name, value = word:match "^(%-%-[%w-]+)=(.*)$"
        name = name or word
        if word == "--" then
            table.move(words, i + 1, #words, #rest + 1, rest)
            return read, rest
        elseif word:sub(1, 1) ~= "-" or word == "-" then
            rest[#rest + 1] = word
        elseif known[name] == "flag" and not value then
            read[name] = true
        elseif known[name] == "value" then
            i = value and i or i + 1
            read[name] = value or words[i]
            if not read[name] then
                return nil, ("'%s' needs a value"):format(name)
            end
        else
            return nil, ("unknown option '%s'"):format(word)
        end
        i = i + 1
    end
    return read, rest
end

--- Says what is wrong with the words behind a command.
---@param name string
---@param problem string
---@return integer status
function cli.misused(name, problem)
    io.stderr:write(("moth %s: %s; see moth %s --help\n"):format(name, problem, name))
    return USAGE
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
