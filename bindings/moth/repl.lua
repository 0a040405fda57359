--- The prompt: reads chunks, runs them, shows results. How lines are edited is in C (moth.line); how chunks are
--- compiled so that locals stay, completed, coloured and shown is in chunk, complete, highlight and pretty.
local chunk = require "moth.chunk"
local core = require "moth.core"
local edit = require "moth.edit"
local files = require "moth.files"
local hints = require "moth.hints"
local highlight = require "moth.highlight"
local history = require "moth.history"
local lexer = require "moth.lexer"
local line = require "moth.line"
local members = require "moth.members"
local pretty = require "moth.pretty"
local style = require "moth.style"
local terminal = require "moth.terminal"

local repl = {}

local PROMPT, MORE = "moth> ", "   .. "

--- Parts of moth that are globals at the prompt, beside moth itself.
local shortcuts = { "layers", "optimizers", "losses", "metrics", "activations", "initializers", "regularizers",
    "constraints", "callbacks", "datasets", "image" }

local function say(text)
    io.stdout:flush()
    io.stderr:write(text, "\n")
end

local function show_error(message)
    say(style.paint("e", (message:gsub("%(upvalue '", "(local '"))))
end

-- ---- results ----

--- Whether the text is a call of an object that gave the object back (model:compile { … }): then it is only named.
local function returns_self(text, value, session)
    local tokens = lexer.tokens(text)
    local name = tokens[1] and tokens[1].text
    local object = session:lookup(name)
    return #tokens > 1 and type(value) == "userdata" and object == value
end

local function show_results(results, text, session)
    local width = terminal.width()
    local texts, together = {}, true
    for i = 1, results.n do
        local short = returns_self(text, results[i], session)
        texts[i] = short and tostring(results[i]) or pretty.format(results[i], width)
        together = together and not texts[i]:find "\n"
    end
    io.stdout:write(table.concat(texts, together and "   " or "\n"), "\n")
end

-- ---- one chunk ----

--- "?x" and "x?" ask for help.
local function help_request(text)
    return text:match "^%s*%?%s*([%w_.:]*)%s*$" or text:match "^%s*([%w_.:]+)%s*%?%s*$"
end

-- What is asked about: a name of the reference, or what stands behind a name of the session ("?model.fit").
local function help_call(topic, session)
    if topic ~= "" and not require("moth.reference").find(topic) then
        local tokens = lexer.tokens(topic)
        local value = members.resolve(tokens, #tokens, session)
        if value ~= nil and type(value) ~= "string" then
            return ("help(%s)"):format(topic:gsub(":", "."))
        end
    end
    return topic == "" and "help()" or ("help(%q)"):format(topic)
end

local function run_chunk(session, text, name)
    local compiled, message = session:compile(text, name)
    if not compiled then
        show_error(message)
        return
    end
    local results = table.pack(line.call(compiled.run))
    -- The terminal has shown ^C where the cursor was.
    local gap = line.was_interrupted() and terminal.is_tty "stderr" and "\n" or ""
    if not results[1] then
        local hint = hints.for_error(results[2], text, session)
        show_error(gap .. results[2] .. (hint and "\n" .. hint or ""))
        return
    elseif line.was_interrupted() then
        say(style.paint("c", gap .. "interrupted"))
    end
    local values = table.pack(table.unpack(results, 2, results.n))
    if values.n == 0 then
        return
    end
    if values[1] ~= nil then
        rawset(_G, "_", values[1])
    end
    -- io.write returns the file for chains of calls, not for being looked at.
    if not compiled.is_silent and values[1] ~= io.stdout then
        -- Showing runs code too (__tostring), so it can fail and be stopped.
        local ok, problem = line.call(show_results, values, text, session)
        if not ok then
            show_error(problem)
        end
        local hint = values.n == 1 and values[1] == nil and hints.for_nil(text, session)
        if hint then
            say(style.paint("c", hint))
        end
    end
end

--- Runs what was typed. False ends the session.
local function evaluate(session, text)
    local topic = help_request(text)
    if topic then
        text = help_call(topic, session)
    elseif text:match "^%s*(%a+)%s*$" == "exit" or text:match "^%s*(%a+)%s*$" == "quit" then
        return false
    end
    run_chunk(session, text)
    io.stdout:flush()
    return true
end

-- ---- reading ----

local function open_editor(session)
    return line.open {
        styles = style.enabled and style.palette or {},
        paint = highlight.classes,
        key = function(key, text, cursor, pasted)
            if key == "enter" then
                return edit.enter(text, cursor, pasted)
            end
            return require("moth.complete").tab(text, cursor, session)
        end,
    }
end

--- One chunk; or nil, "end" or "interrupted". Plain reading gives single lines, which are put together here.
local function read_chunk(editing)
    local text, why = line.read(style.paint("p", PROMPT), style.paint("c", MORE))
    while text and not editing and chunk.is_incomplete(text .. "\n") do
        local more
        more, why = line.read(MORE, MORE)
        if why == "end" then
            return text
        end
        text = more and text .. "\n" .. more
    end
    return text, why
end

--- What a function of moth is called, for showing it.
local function describe(f)
    local entry = require("moth.reference").find(f)
    return entry and "function " .. entry.name
end

local function prepare_globals()
    local moth = require "moth"
    rawset(_G, "moth", moth)
    for _, name in ipairs(shortcuts) do
        if rawget(_G, name) == nil then
            rawset(_G, name, moth[name])
        end
    end
    pretty.describe = describe
    pretty.views = require "moth.views"
    rawset(_G, "help", function(what)
        print(require("moth.help").text(what))
    end)
end

local function greet()
    local threads = core.threads()
    io.stdout:write(("moth %s, %s, %d thread%s (%s)   help() helps, Ctrl-D leaves\n"):format(
        core.version, _VERSION, threads, threads == 1 and "" or "s", core.cpu()))
end

--- Runs a script as at the prompt: its top-level locals stay.
local function run_script(session, path, ...)
    local text = files.read(path)
    if text:sub(1, 1) == "#" then
        text = "--" .. text
    end
    local compiled, message = session:compile(text, "@" .. path)
    if not compiled then
        show_error(message)
        return
    end
    local ok, problem = line.call(compiled.run, ...)
    if not ok then
        show_error(problem)
    end
end

--- The prompt, after a script where one is given.
---@param script string?
---@param ... string its arguments
function repl.run(script, ...)
    local session = chunk.session()
    local interactive = terminal.is_tty "stdin"
    style.enabled = terminal.color "stdout"
    prepare_globals()
    if script then
        local ok, problem = line.call(run_script, session, script, ...)
        if not ok then
            show_error(problem)
        end
    end
    local editing = open_editor(session)
    local past = editing and history.open(line.remember)
    if interactive then
        greet()
    end
    while true do
        local text, why = read_chunk(editing)
        if why == "end" and not text then
            return
        elseif text and text:find "%S" then
            if past then
                past:add(text)
            end
            if not evaluate(session, text) then
                return
            end
        end
    end
end

return repl
