--- Writes the reference as comments that LDoc turns into pages: `moth share/reference.lua > moth.lua`. Everything comes
--- from what help shows.
local moth = require "moth"
local reference = require "moth.reference"

local lines = {}

local function add(text, ...)
    lines[#lines + 1] = select("#", ...) > 0 and text:format(...) or text
end

--- A text of several lines behind comment dashes.
local function add_text(text, first)
    local dashes = first or "-- "
    for line in ((text or "") .. "\n"):gmatch "(.-)\n" do
        add(dashes .. line)
        dashes = "-- "
    end
end

--- LDoc takes one word for a type.
local function type_word(kind)
    return kind and kind:match "^[%w_.]+$" or "any"
end

local function add_parameter(name, kind, optional, doc)
    add("-- @tparam%s %s %s %s", optional and "[opt]" or "", type_word(kind), name, doc or "")
end

local function add_options(entry)
    for _, option in ipairs(entry.options or {}) do
        local about = option.doc or ""
        if option.default then
            about = about .. (about ~= "" and "; " or "") .. "default `" .. option.default .. "`"
        end
        add_parameter("options." .. option.name, option.kind, not option.required, about)
    end
end

local function add_function(entry)
    add ""
    add_text(entry.doc ~= "" and entry.doc or entry.name, "--- ")
    add("-- @function %s", entry.name)
    if entry.is_constructor then
        add "-- @tparam[opt] table options"
    end
    for _, parameter in ipairs(not entry.is_constructor and entry.parameters or {}) do
        local name = entry.options and parameter == entry.parameters[#entry.parameters] and "options" or parameter.name
        add_parameter(name, parameter.kind, parameter.optional, parameter.doc)
    end
    add_options(entry)
    for line in (entry.returns or ""):gmatch "[^\n]+" do
        add("-- @return %s", line)
    end
    if entry.example then
        add "-- @usage"
        add_text(entry.example)
    end
end

add "--- Machine learning in Lua."
add("-- This is the reference of moth %s. At the prompt `help(x)` shows the same.", moth.version)
add "-- @module moth"

local groups, order = {}, {}
for _, name in ipairs(reference.names()) do
    local entry = reference.find(name)
    local group = name:match "^(.*)[.:]" or "moth"
    if not groups[group] then
        groups[group] = {}
        order[#order + 1] = group
    end
    if entry.parameters or entry.is_constructor then
        table.insert(groups[group], entry)
    end
end
for _, group in ipairs(order) do
    local class = reference.find(group)
    add ""
    add("--- %s", group)
    add_text(class and class.doc or "")
    add("-- @section %s", group)
    for _, entry in ipairs(groups[group]) do
        add_function(entry)
    end
end

io.stdout:write((table.concat(lines, "\n"):gsub("[ \t]+\n", "\n")), "\n")
