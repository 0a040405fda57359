--- moth.compile: traces a function once for each signature of its arguments and runs it natively from then on.
local core = require "moth.core"
local options = require "moth.options"

-- Signatures that one compiled function keeps; beyond that it starts anew (a number that changes with every call makes
-- a signature each time).
local MOST_PROGRAMS = 64

local spec = {
    name = "compile", positionals = 0,
    { "training", "boolean", default = false },
    { "optimizer", "any" },
}

local function trace(f, training, exact, optimizer, ...)
    local ok, program = pcall(core.trace, f, training, exact, optimizer, ...)
    if ok then
        return program
    end
    local failure = core.failure()
    if exact or failure == "interrupted" or failure == "memory" then
        error(program, 0)
    end
    return nil -- not for any number of rows: the caller traces again with the exact number
end

--- Compiles a function of tensors. It is traced: it runs once for each signature (types, shapes up to the number of
--- rows, values of other arguments) with tensors whose values are not known, and what it did to them is then run
--- natively. Lua numbers that it uses are constants of the trace; tensors from outside are read at each run, and what
--- it changes of them is written at the end of a run; arguments are never changed. Results can be differentiated.
--- Numbers are the same as without compile. With an optimizer the function is a training step: its first result is the
--- loss, and every tensor from outside that has requires_grad is updated.
---@param f fun(...: moth.Tensor): ... tensors, numbers, strings, booleans and nil in; tensors (and constants) out
---@param settings? { training?: boolean, optimizer?: any }
---@return fun(...): ...
local function compile(f, settings)
    if type(f) ~= "function" then
        options.fail("compile: the first argument must be a function; got " .. options.show(f))
    end
    local read = options.read(spec, settings)
    local training, optimizer = read.training, read.optimizer
    if optimizer ~= nil and not core.is_optimizer(optimizer) then
        optimizer = core.optimizer(optimizer)
    end
    local programs, count, inexact = {}, 0, {}

    local function program_for(...)
        local key, exact = core.signature(false, ...)
        if inexact[key] then
            key, exact = core.signature(true, ...)
        end
        local program = programs[key]
        if program and not core.stale(program) then
            return program
        end
        program = trace(f, training, exact, optimizer, ...)
        if not program then
            inexact[key] = true
            return nil
        end
        if not programs[key] then
            count = count + 1
        end
        if count > MOST_PROGRAMS then
            programs, inexact, count = {}, {}, 1
        end
        programs[key] = program
        return program
    end

    return function(...)
        if core.tracing() then
            return f(...)
        end
        local program = program_for(...) or program_for(...)
        return program(...)
    end
end

return compile
