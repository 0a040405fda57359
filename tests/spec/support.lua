--- What specs share: files, refusals, numbers.
local support = {}

-- ---- files ----

--- All bytes of a file.
---@param path string
---@return string
function support.read(path)
    local file <close> = assert(io.open(path, "rb"))
    return file:read "a"
end

--- How many lines a file has; 0 where there is none.
---@param path string
---@return integer
function support.lines(path)
    local file <close> = io.open(path, "rb")
    local _, count = (file and file:read "a" or ""):gsub("\n", "")
    return count
end

---@param path string
---@param text string
---@return string path
function support.write(path, text)
    local file <close> = assert(io.open(path, "wb"))
    assert(file:write(text))
    return path
end

--- A new empty directory; who asks for it gives it to support.remove in the end.
---@return string path
function support.directory()
    local path = os.tmpname()
    os.remove(path)
    assert(os.execute("mkdir " .. path))
    return path
end

---@param directory string
function support.remove(directory)
    os.execute(("chmod -R u+w %s; rm -r %s"):format(directory, directory))
end

-- ---- numbers ----

--- All that nested lists and tensors hold, in order.
---@param value any
---@return any[]
function support.flat(value, into)
    into = into or {}
    if type(value) == "userdata" then
        support.flat(value:totable(), into)
    elseif type(value) == "table" then
        for _, entry in ipairs(value) do
            support.flat(entry, into)
        end
    else
        into[#into + 1] = value
    end
    return into
end

--- Every bit of every number, as text.
---@param value any
---@return string
function support.bits(value)
    local numbers = support.flat(value)
    for i, x in ipairs(numbers) do
        numbers[i] = ("%a"):format(x)
    end
    return table.concat(numbers, " ")
end

--- Asserts that two nested lists agree to tolerance, relative to the larger of 1 and the expected magnitude.
function support.close(expected, actual, tolerance, what)
    local a, b = support.flat(expected), support.flat(actual)
    assert(#a == #b, ("%s: %d values expected, got %d"):format(what, #a, #b))
    for i = 1, #a do
        local difference = math.abs(a[i] - b[i]) / math.max(1, math.abs(a[i]))
        assert(difference <= tolerance or a[i] == b[i],
            ("%s: value %d is %.9g, expected %.9g"):format(what, i, b[i], a[i]))
    end
end

-- ---- models ----

--- A compiled model of one weight w, no bias: prediction w x, so that everything can be computed by hand.
---@param w number
---@param settings? table of compile; nothing is learned unless it says how
---@return moth.Model
function support.line(w, settings)
    local moth = require "moth"
    local model = moth.Sequential { moth.layers.Dense { 1, use_bias = false, input_shape = { 1 } } }
    model:set_weights { { { w } } }
    settings = settings or {}
    settings.loss = settings.loss or "mse"
    settings.optimizer = settings.optimizer or moth.optimizers.SGD { lr = 0 }
    return model:compile(settings)
end

--- A table with the same entries.
---@param t table
---@return table
function support.copy(t)
    local new = {}
    for key, value in pairs(t) do
        new[key] = value
    end
    return new
end

--- Samples of one number each.
---@param list number[]
---@return moth.Tensor
function support.column(list)
    return require("moth").tensor(list, { dtype = "float32" }):reshape(#list, 1)
end

--- A compiled model of two layers that tells three classes by four features.
---@param settings? table of compile
---@return moth.Model
function support.classifier(settings)
    local moth = require "moth"
    local model = moth.Sequential {
        moth.layers.Dense { 6, activation = "tanh", input_shape = { 4 } },
        moth.layers.Dense { 3, activation = "softmax" },
    }
    settings = settings or {}
    settings.loss = settings.loss or "categorical_crossentropy"
    settings.optimizer = settings.optimizer or moth.optimizers.SGD { lr = 0.5 }
    return model:compile(settings)
end

--- Samples for it, drawn.
---@param n integer
---@return moth.Tensor x
---@return moth.Tensor y
function support.samples(n)
    local moth = require "moth"
    return moth.randn(n, 4), moth.one_hot(moth.randint(0, 2, { n }), 3)
end

---@param a moth.Tensor[]
---@param b moth.Tensor[]
---@return boolean
function support.same_weights(a, b)
    for i, w in ipairs(a) do
        if w:eq(b[i]):all():item() == 0 then
            return false
        end
    end
    return true
end

--- Options of fit that show nothing.
---@param options table
---@return table
function support.quiet(options)
    options.verbose = 0
    return options
end

-- ---- refusals ----

--- Asserts that a text holds another one, letter by letter.
---@param text string
---@param part string
function support.has(text, part)
    assert(text:find(part, 1, true), ("%q is not in: %s"):format(part, text))
end

local function check_message(fine, message)
    assert(not fine, "an error was expected")
    assert(type(message) == "string", "the error is no string but " .. type(message))
    assert(not message:find("[%c]"), "not one printable line: " .. message)
end

local support_file = debug.getinfo(1, "S").short_src

-- The spec file that is running.
local function spec_file()
    for level = 3, 100 do
        local info = debug.getinfo(level, "S")
        if not info or info.short_src:find "_spec%.lua$" then
            return info.short_src
        end
    end
end

--- Asserts that a call raises one printable line that blames its caller: a line of the spec, or, where f is a function
--- of moth itself, this file. Returns what it says.
---@param f function
---@param ... any arguments of f
---@return string message without the position
function support.refusal(f, ...)
    local fine, message = pcall(f, ...)
    check_message(fine, message)
    local place, text = message:match "^([^:]*):%d+: (.*)$"
    assert(place == spec_file() or place == support_file, "not at the caller's line: " .. message)
    return text
end

--- The same, and what it says holds a text.
---@param part string
---@param f function
---@param ... any arguments of f
function support.refuses(part, f, ...)
    support.has(support.refusal(f, ...), part)
end

--- Asserts that f raises one printable line that blames the line in which f calls moth, and returns what it says.
---@param f function a function written on one line, so that its line is the one to blame
---@param ... any arguments of f
---@return string message without the position
function support.fails(f, ...)
    local fine, message = pcall(f, ...)
    check_message(fine, message)
    local info = debug.getinfo(f, "S")
    local place = ("%s:%d: "):format(info.short_src, info.linedefined)
    assert(message:sub(1, #place) == place, ("expected to begin with %q: %s"):format(place, message))
    return message:sub(#place + 1)
end

return support
