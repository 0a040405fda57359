--- `moth info`: what model files hold. Everything is read from the file itself; nothing in it is run.
local cli = require "moth.cli"
local json = require "moth.json"
local moth = require "moth"
local pretty = require "moth.pretty"

local info = { summary = "what model files hold" }

info.usage = [[
usage: moth info [--json] [--tensors] FILE...

Shows what safetensors files hold: the model, how it is trained, its tensors.

  --tensors  list the tensors also where the file holds a model
  --json     one line of JSON a file
]]

--- Texts of a file may hold anything, also what commands a terminal.
local function printable(text)
    return (tostring(text):gsub("%c", "?"):gsub("\127", "?"):gsub("\194[\128-\159]", "?"))
end

--- A table where the file should have one.
local function part(value, key)
    local found = type(value) == "table" and value[key]
    return type(found) == "table" and found or {}
end

local function decode(path, text)
    local fine, value = pcall(json.decode, text)
    if not fine then
        error(("%s: metadata: %s"):format(path, value), 0)
    end
    return value
end

local function sorted_names(tensors)
    local names = {}
    for name in pairs(tensors) do
        names[#names + 1] = name
    end
    table.sort(names)
    return names
end

--- What the file says of itself, in one table: for --json and for the lines shown.
local function describe(path)
    local tensors, metadata = moth.load_tensors(path)
    local about = { path = path, tensors = {}, values = 0 }
    for i, name in ipairs(sorted_names(tensors)) do
        local t = tensors[name]
        about.tensors[i] = { name = name, dtype = t.dtype, shape = json.list(t.shape) }
        about.values = about.values + t:numel()
    end
    json.list(about.tensors)
    if metadata.format == "moth" then
        about.format_version, about.moth_version = tonumber(metadata.format_version), metadata.moth_version
        about.model = metadata.model and decode(path, metadata.model)
        about.training = metadata.training and decode(path, metadata.training)
    else
        about.metadata = metadata
    end
    return about
end

local function headline(about)
    local what = about.model and "a model" or about.moth_version and "weights" or "tensors"
    local maker = about.moth_version and (", saved by moth %s (format %s)"):format(printable(about.moth_version),
        about.format_version) or ""
    return ("%s: %s%s"):format(about.path, what, maker)
end

--- The table of layers; where some are made by Lua code that is not here, their names alone.
local function layers_text(about)
    local loaded, model = pcall(moth.load_model, about.path, { compile = false })
    if loaded then
        return require("moth.summary").text(model)
    end
    local names = {}
    for i, layer in ipairs(part(about.model, "layers")) do
        local name, class = part(layer, "config").name, type(layer) == "table" and layer.class
        names[i] = ("  %s (%s)"):format(printable(name), printable(class))
    end
    return "layers, some of which need Lua code that is not here:\n" .. table.concat(names, "\n")
end

local function spec_text(spec)
    return type(spec) == "table" and printable(spec.class) or "a function"
end

local function training_text(training)
    local losses, metrics = {}, {}
    for _, loss in ipairs(part(part(training, "options"), "loss")) do
        losses[#losses + 1] = spec_text(loss)
    end
    for _, list in ipairs(part(part(training, "options"), "metrics")) do
        for _, metric in ipairs(type(list) == "table" and list or {}) do
            metrics[#metrics + 1] = spec_text(metric)
        end
    end
    local parts = {}
    if training.iterations ~= nil then
        parts[1] = ("%s steps"):format(printable(training.iterations))
    end
    if type(training.optimizer) == "table" then
        parts[#parts + 1] = "optimizer " .. spec_text(training.optimizer)
    end
    parts[#parts + 1] = #losses > 0 and "loss " .. table.concat(losses, ", ") or nil
    parts[#parts + 1] = #metrics > 0 and "metrics " .. table.concat(metrics, ", ") or nil
    return #parts > 0 and "training: " .. table.concat(parts, "; ") or nil
end

local function tensors_text(about)
    local width = 0
    for _, t in ipairs(about.tensors) do
        width = math.max(width, pretty.visible(printable(t.name)))
    end
    local lines = {}
    for i, t in ipairs(about.tensors) do
        local name = printable(t.name)
        local gap = (" "):rep(width - pretty.visible(name))
        lines[i] = ("  %s%s  %-7s  (%s)"):format(name, gap, t.dtype, table.concat(t.shape, ", "))
    end
    return table.concat(lines, "\n")
end

local function show(about, options)
    local lines = { headline(about) }
    if about.model then
        lines[#lines + 1] = layers_text(about)
    end
    if type(about.training) == "table" then
        lines[#lines + 1] = training_text(about.training)
    end
    lines[#lines + 1] = ("%d tensors, %d numbers"):format(#about.tensors, about.values)
    if #about.tensors > 0 and (options["--tensors"] or not about.model) then
        lines[#lines + 1] = tensors_text(about)
    end
    io.stdout:write(table.concat(lines, "\n"), "\n")
end

--- Runs the command.
---@param words string[]
---@return integer status
function info.run(words)
    local options, paths = cli.read(words, { ["--json"] = "flag", ["--tensors"] = "flag" })
    if not options then
        return cli.misused("info", paths)
    elseif #paths == 0 then
        return cli.misused("info", "no file is given")
    end
    local status = 0
    for _, path in ipairs(paths) do
        local fine, about = pcall(describe, path)
        if not fine then
            io.stderr:write("moth info: ", about, "\n")
            status = 1
        elseif options["--json"] then
            io.stdout:write(json.encode(about), "\n")
        else
            show(about, options)
        end
    end
    return status
end

return info
