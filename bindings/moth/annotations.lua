--- Reads LuaLS annotations out of Lua sources: comments above a function or a constructor that begin with three dashes.
--- The first one of a file is about the module.
local annotations = {}

---@class moth.Annotation
---@field module string
---@field owner string? what stands before the dot or colon of its name
---@field name string
---@field is_method boolean
---@field doc string
---@field example string? what follows @usage
---@field returns string?
---@field parameters table[] { name, kind, doc, optional }

---@class moth.AnnotatedClass
---@field name string "moth.FitOptions"
---@field doc string
---@field variable string? the local that holds it
---@field methods string? "model_methods" for a local that is a table of methods in moth.core
---@field fields table[] { name, kind, doc, optional }
---@field overloads string[]? how its objects are called

--- The type at the start of `text`, which may hold blanks inside brackets, and what follows it.
local function split_type(text)
    local depth, at = 0, 1
    while at <= #text do
        local char = text:sub(at, at)
        if char:find "[%(%[{<]" then
            depth = depth + 1
        elseif char:find "[%)%]}>]" then
            depth = depth - 1
        elseif char == " " and depth == 0 and not text:find("^%s*|", at) then
            if not text:sub(1, at - 1):find "[|:]%s*$" then
                break
            end
        end
        at = at + 1
    end
    return text:sub(1, at - 1), (text:sub(at):gsub("^%s+", ""))
end

--- "name? type text"
local function named(text)
    local name, mark, rest = text:match "^([%w_.]+)(%??)%s*(.*)$"
    if not name then
        return nil
    end
    local kind, doc = split_type(rest)
    local optional = mark == "?" or kind:find "%?$" ~= nil or kind:find "|nil" ~= nil
    return { name = name, kind = kind, doc = doc:gsub("^[@#]%s*", ""), optional = optional }
end

--- What one block of comment lines says.
local function read_block(lines)
    local block = { parameters = {}, fields = {}, doc = {}, returns = {}, overloads = {}, example = nil }
    for _, text in ipairs(lines) do
        local tag, rest = text:match "^%s?@([%w_]+)%s*(.*)$"
        if tag == "param" then
            block.parameters[#block.parameters + 1] = named(rest)
        elseif tag == "field" then
            block.fields[#block.fields + 1] = named(rest)
        elseif tag == "return" then
            block.returns[#block.returns + 1] = rest
        elseif tag == "overload" then
            block.overloads[#block.overloads + 1] = rest
        elseif tag == "class" then
            block.class = rest:match "^[%w_.]+"
        elseif tag == "usage" then
            block.example = { rest ~= "" and rest or nil }
        elseif not tag and block.example then
            table.insert(block.example, (text:gsub("^%s", "")))
        elseif not tag then
            table.insert(block.doc, (text:gsub("^%s", "")))
        end
    end
    return block
end

--- "a.b.c" or "a:b" that the line after a block declares.
local function declared(line)
    return line:match "^function%s+([%w_.:]+)" or line:match "^%s*([%w_]+[%w_.]*)%s*="
        or line:match "^local%s+([%w_]+)%s*=" or line:match "^local%s+function%s+([%w_]+)"
end

local function annotation(module, path, block)
    local owner, mark, name = path:match "^(.*)([.:])([%w_]+)$"
    return {
        module = module,
        owner = owner,
        name = name or path,
        is_method = mark == ":",
        doc = table.concat(block.doc, "\n"),
        example = block.example and table.concat(block.example, "\n"),
        returns = #block.returns > 0 and table.concat(block.returns, "\n") or nil,
        parameters = block.parameters,
    }
end

--- The text of a line of a block; after the first line two dashes go on too, as LDoc has it.
local function comment_text(line, is_first)
    local text = line:match "^%s*%-%-%-(.*)$"
    if not text and not is_first then
        text = line:match "^%s*%-%-(%s.*)$" or line:match "^%s*%-%-()$" and ""
    end
    return text
end

--- All blocks of one source.
local function read_source(module, text, into, classes)
    local lines = {}
    for line in (text .. "\n"):gmatch "(.-)\n" do
        local comment = comment_text(line, #lines == 0)
        if comment then
            lines[#lines + 1] = comment
        elseif line:find "^local%s+[%w_]+%s*=%s*core%.[%w_]+_methods$" then
            local variable, methods = line:match "^local%s+([%w_]+)%s*=%s*core%.([%w_]+)$"
            classes[#classes + 1] = { name = methods, variable = variable, methods = methods, module = module,
                fields = {} }
        elseif #lines > 0 then
            local block, path = read_block(lines), declared(line)
            if not classes[module] then
                classes[module] = table.concat(block.doc, "\n")
            end
            if block.class then
                classes[#classes + 1] = { name = block.class, doc = table.concat(block.doc, "\n"), variable = path,
                    module = module, fields = block.fields, overloads = block.overloads }
            elseif path then
                into[#into + 1] = annotation(module, path, block)
            end
            lines = {}
        end
    end
end

--- Everything that the sources annotate, in the order of module names and lines.
---@param sources table<string, string> text by module name
---@return moth.Annotation[]
---@return moth.AnnotatedClass[] and what is said of each module, by its name
function annotations.read(sources)
    local modules, found, classes = {}, {}, {}
    for module in pairs(sources) do
        modules[#modules + 1] = module
    end
    table.sort(modules)
    for _, module in ipairs(modules) do
        read_source(module, sources[module], found, classes)
    end
    return found, classes
end

return annotations
