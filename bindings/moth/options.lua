--- Reading constructor tables: `layers.Dense { 128, activation = "relu" }`.
-- A spec lists the options of one constructor in Keras's order of arguments; `read` turns what a caller wrote
-- (positionals, names, aliases, a bare positional) into one table of checked values with all defaults filled in.
-- Every refusal is one line that names the constructor, what was expected and what was got.

local options = {}

--- One option of a constructor.
---@class moth.Option
---@field [1] string  its name, Keras 3's
---@field [2]? string|string[]|function  type: "number" "integer" "boolean" "string" "function" "table" "any",
---   or several joined by "|"; a list of allowed values; or a function(value) that returns the accepted value,
---   or nil and what it takes
---@field default? any
---@field required? boolean
---@field min? number  smallest value allowed
---@field max? number  largest value allowed
---@field above? number  the value must be larger
---@field below? number  the value must be smaller
---@field nan? boolean  not-a-number is allowed

--- A constructor: its name, and its options in the order of its positionals.
---@class moth.Spec
---@field name string  as messages show it, e.g. "layers.Dense"
---@field positionals? integer  how many options may come by position (default: all)
---@field shape? string  the option that takes all positionals as one list (Input, Reshape, Permute)
---@field [integer] moth.Option

-- What the sources of moth's own Lua files begin with, wherever they come from (embedded, or a directory).
local own_source = debug.getinfo(1, "S").source:match("^(.*)options") or "\0"

-- Control characters and broken UTF-8 must not reach a message, which is one printable line.
local function printable(text)
    local valid = utf8.len(text) ~= nil
    text = text:gsub(valid and "[%c\127]" or "[%c\127-\255]", function(c)
        return ("\\x%02x"):format(c:byte())
    end)
    return text
end

local MOST_TEXT = 1000 -- bytes of a message: a name in it may be of any length

--- Raises a one-line error at the line of the user's code that called into moth, however deep in moth it is noticed.
---@param message string
function options.fail(message)
    local level = 2
    local info = debug.getinfo(level, "Sl")
    while info and (info.currentline < 0 or info.source:sub(1, #own_source) == own_source) do
        level = level + 1
        info = debug.getinfo(level, "Sl")
    end
    local text = printable(message)
    if #text > MOST_TEXT then
        text = text:sub(1, (utf8.len(text) and utf8.offset(text, 0, MOST_TEXT) or MOST_TEXT) - 1) .. "..."
    end
    error(text, info and level or 0)
end

-- Names that Keras or its users also use. `input_dim = n` is a value of another form, so it has a converter.
local key_aliases = { lr = "learning_rate", input_dim = "input_shape" }
local key_converters = {
    input_dim = function(value)
        return { value }
    end,
}
local value_aliases = {
    acc = "accuracy",
    ce = "crossentropy",
    zero = "zeros",
    one = "ones",
    uniform = "random_uniform",
    normal = "random_normal",
}

--- A value as a message shows it: short, printable, on one line.
---@param value any
---@return string
function options.show(value)
    local kind = math.type(value) or type(value)
    if kind == "string" then
        local cut = #value > 60 and (utf8.len(value) and utf8.offset(value, 0, 58) or 58)
        return '"' .. printable(cut and value:sub(1, cut - 1) .. "..." or value) .. '"'
    elseif kind == "float" then
        return value ~= value and "nan" or ("%.14g"):format(value)
    elseif kind == "integer" or kind == "boolean" or kind == "nil" then
        return tostring(value)
    end
    local meta = debug.getmetatable(value)
    return "a " .. (type(meta) == "table" and type(rawget(meta, "__name")) == "string" and meta.__name or type(value))
end

-- Edit distance in which two swapped neighbours count as one mistake.
local function distance(a, b)
    local before, previous = {}, {}
    for j = 0, #b do
        previous[j] = j
    end
    for i = 1, #a do
        local row = { [0] = i }
        for j = 1, #b do
            local cost = a:byte(i) == b:byte(j) and 0 or 1
            local best = math.min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + cost)
            if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
                best = math.min(best, before[j - 2] + 1)
            end
            row[j] = best
        end
        before, previous = previous, row
    end
    return previous[#b]
end

--- The known name nearest to a misspelt one, or nil when none is near.
---@param word string
---@param known string[]
---@return string?
function options.nearest(word, known)
    word = word:lower()
    if #word > 60 then
        return nil
    end
    local best, best_distance
    for _, name in ipairs(known) do
        local lower = tostring(name):lower() -- what is allowed may be a number
        local d = distance(word, lower)
        -- A beginning that only one more word completes is as good as a small mistake.
        local near = d <= math.max(1, #lower // 3) or (#word >= 3 and lower:sub(1, #word) == word)
        if near and (not best or d < best_distance) then
            best, best_distance = name, d
        end
    end
    return best
end

--- The text of a refusal of an unknown name: what was got, the nearest known one, all known ones.
---@param what string  e.g. "unknown option"
---@param word any
---@param known string[]
---@return string
function options.unknown(what, word, known)
    local nearest = type(word) == "string" and options.nearest(word, known)
    return ("%s %s%s known: %s"):format(what, options.show(word),
        nearest and ("; did you mean %q?"):format(nearest) or ";", table.concat(known, ", "))
end

--- A name of a loss, metric or initializer in its full form: "acc" is "accuracy", "val_acc" "val_accuracy", also behind
-- the name of an output ("val_digit_acc").
---@param name any  anything but a known alias comes back unchanged
---@return any
function options.full_name(name)
    if type(name) ~= "string" then
        return name
    end
    local prefix, rest = name:match("^(val_)(.+)$")
    return (prefix or "") .. (value_aliases[rest or name] or rest or name):gsub("_acc$", "_accuracy")
end

local function check_range(option, value)
    if value ~= value and not option.nan then
        return nil, "a number, not nan"
    end
    local min, max, above, below = option.min, option.max, option.above, option.below
    local low = min and value < min or above and value <= above
    local high = max and value > max or below and value >= below
    if not (low or high) then
        return value
    end
    local from = min and "at least " .. min or above and "above " .. above
    local to = max and "at most " .. max or below and "below " .. below
    return nil, from and to and from .. " and " .. to or from or to
end

local articles = { integer = "an integer", any = "a value" }

-- The value in the form of one type name, or nil.
local function as_type(kind, value)
    if kind == "any" then
        return value
    elseif kind == "integer" then
        -- Numbers written or computed as 3.0 are as good as 3.
        return math.type(value) and math.tointeger(value)
    elseif type(value) == kind then
        return value
    end
end

local function check_type(option, value)
    local kind = option[2] or "any"
    if type(kind) == "function" then
        return kind(value)
    elseif type(kind) == "table" then
        for _, allowed in ipairs(kind) do
            if value == allowed then
                return value
            end
        end
        local list = {}
        for i, allowed in ipairs(kind) do
            list[i] = options.show(allowed)
        end
        local nearest = type(value) == "string" and options.nearest(value, kind)
        return nil, "one of " .. table.concat(list, ", ") .. (nearest and (" (did you mean %q?)"):format(nearest) or "")
    end
    local expected = {}
    for name in kind:gmatch("[^|]+") do
        local accepted = as_type(name, value)
        if accepted ~= nil and accepted ~= false or value == false and name == "boolean" then
            return accepted
        end
        expected[#expected + 1] = articles[name] or "a " .. name
    end
    return nil, table.concat(expected, " or ")
end

--- Checks one value against an option.
---@param option moth.Option
---@param value any
---@return any value  in its normal form (3.0 as 3), nil when refused
---@return string? expected  what the option takes, when refused
function options.check(option, value)
    local accepted, expected = check_type(option, value)
    if accepted ~= nil and math.type(accepted) then
        accepted, expected = check_range(option, accepted)
    end
    return accepted, expected
end

local function find_options(spec)
    local by_name, names = {}, {}
    for i, option in ipairs(spec) do
        by_name[option[1]], names[i] = option, option[1]
    end
    return by_name, names
end

-- A constructor table is a plain table; tensors, layers and other objects have a metatable and are a bare positional.
local function as_table(args)
    if args == nil then
        return {}
    elseif type(args) == "table" and getmetatable(args) == nil then
        return args
    end
    return { args }
end

local function sorted_names(args, fail)
    local names = {}
    for key in pairs(args) do
        if type(key) == "string" then
            names[#names + 1] = key
        elseif math.type(key) ~= "integer" or key < 1 then
            fail(("an option is named by a string; got the key %s"):format(options.show(key)))
        end
    end
    table.sort(names)
    return names
end

local function place_positionals(spec, args, given, fail)
    local count, filled = 0, 0
    for key in pairs(args) do
        if math.type(key) == "integer" then
            count, filled = math.max(count, key), filled + 1
        end
    end
    if spec.shape then
        if filled < count then
            fail(("the list has %d of %d entries"):format(filled, count))
        end
        if count > 0 then
            -- `Input { {28, 28} }` says the same as `Input { 28, 28 }`.
            local lone = count == 1 and type(args[1]) == "table" and args[1]
            given[spec.shape] = lone or table.move(args, 1, count, 1, {})
        end
        return
    end
    local limit = spec.positionals or #spec
    if count > limit then
        fail(("takes at most %d value%s by position; got %d"):format(limit, limit == 1 and "" or "s", count))
    end
    for i = 1, count do
        given[spec[i][1]] = args[i]
    end
end

local specs = setmetatable({}, { __mode = "k" })

--- Notes the spec of a constructor, so that help and completion know its options.
---@generic T
---@param constructor T
---@param spec moth.Spec
---@return T constructor
function options.declare(constructor, spec)
    specs[constructor] = spec
    return constructor
end

--- The constructors that were declared, with their specs.
---@return table<function, moth.Spec>
function options.declared()
    return specs
end

-- Constructors that stand for what they make without options.
local makers = setmetatable({}, { __mode = "k" })

--- Notes that a constructor may be written where an option takes what it makes: `loss = moth.losses.mse`.
---@generic T
---@param constructor T
---@return T constructor
function options.stands_for_made(constructor)
    makers[constructor] = true
    return constructor
end

--- What was meant where a constructor stands for what it makes, also inside plain lists and tables.
---@param value any
---@param depth? integer  how many tables deep (2)
---@return any
function options.made(value, depth)
    depth = depth or 2
    if makers[value] then
        return value()
    elseif type(value) ~= "table" or getmetatable(value) ~= nil or depth == 0 then
        return value
    end
    local copy = {}
    for key, entry in next, value do
        copy[key] = options.made(entry, depth - 1)
    end
    return copy
end

--- Reads a constructor's argument by its spec.
---@param spec moth.Spec
---@param args any  the constructor table, or a bare positional, or nil
---@return table values  every option that has a value, by its full name
function options.read(spec, args)
    local function fail(message)
        options.fail(("%s: %s"):format(spec.name, message))
    end
    args = as_table(args)
    local by_name, known = find_options(spec)
    local given, values = {}, {}
    place_positionals(spec, args, given, fail)
    for _, key in ipairs(sorted_names(args, fail)) do
        local name, value = key, args[key]
        if not by_name[key] and by_name[key_aliases[key]] then
            name = key_aliases[key]
            value = key_converters[key] and key_converters[key](value) or value
        end
        if not by_name[name] then
            fail(options.unknown("unknown option", key, known))
        elseif given[name] ~= nil then
            fail(("%s is given twice"):format(name))
        end
        given[name] = value
    end
    for _, option in ipairs(spec) do
        local name = option[1]
        local value = given[name]
        if value ~= nil then
            local expected
            value, expected = options.check(option, value)
            if value == nil then
                fail(("%s must be %s; got %s"):format(name, expected, options.show(given[name])))
            end
        elseif option.required then
            fail(("%s is missing"):format(name))
        else
            value = option.default
        end
        values[name] = value
    end
    return values
end

--- A kind of option: a list of texts, no two the same.
---@param value any
---@return string[]? list
---@return string? expected
function options.names(value)
    local list, seen = {}, {}
    for i, name in ipairs(type(value) == "table" and value or {}) do
        if type(name) ~= "string" or seen[name] then
            return nil, "a list of names, no two the same"
        end
        list[i], seen[name] = name, true
    end
    return #list > 0 and next(value, #list) == nil and list or nil, "a list of names, no two the same"
end

return options
