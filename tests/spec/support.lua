--- What the specs of tensors share.
local support = {}

--- All numbers of nested lists, in order.
---@param value number|table
---@return number[]
function support.flat(value, into)
    into = into or {}
    if type(value) == "number" then
        into[#into + 1] = value
    else
        for _, entry in ipairs(value) do
            support.flat(entry, into)
        end
    end
    return into
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

--- Asserts that f raises one printable line that blames the line in which f calls moth, and returns what it says.
---@param f function a function written on one line, so that its line is the one to blame
---@param ... any arguments of f
---@return string message without the position
function support.fails(f, ...)
    local fine, message = pcall(f, ...)
    assert(not fine, "an error was expected")
    assert(type(message) == "string", "the error is no string but " .. type(message))
    assert(not message:find("[%c]"), "not one printable line: " .. message)
    local info = debug.getinfo(f, "S")
    local place = ("%s:%d: "):format(info.short_src, info.linedefined)
    assert(message:sub(1, #place) == place, ("expected to begin with %q: %s"):format(place, message))
    return message:sub(#place + 1)
end

return support
