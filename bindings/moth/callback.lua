--- What all callbacks share: hooks, classes, and the list that fit calls.
--
-- A callback is a table with any of the hooks below as methods. fit sets its fields `model`, `params` ({epochs, steps,
-- samples, verbose, metrics, initial_epoch}, at the end also interrupted or failed) and `peers` (all callbacks of this
-- fit) before training. Epochs and batches count from 1. `logs` is a table of plain numbers by name; what a callback
-- adds to it, later ones and History see.
--
--     on_train_begin(logs)  on_epoch_begin(epoch, logs)  on_batch_begin(batch, logs)    batches of training
--     on_train_end(logs)    on_epoch_end(epoch, logs)    on_batch_end(batch, logs)
--     on_test_begin(logs)   on_test_batch_end(batch, logs)   on_test_end(logs)          validation
--
-- A callback that holds state over epochs has `state()`, which returns a table of plain values (and weights of the
-- model), and `restore(state, weights)`: that is how an interrupted fit goes on exactly (BackupAndRestore).

local json = require "moth.json"
local options = require "moth.options"
local progress = require "moth.progress"

local callback = {}

callback.hooks = {
    "on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end", "on_batch_begin", "on_batch_end",
    "on_test_begin", "on_test_batch_end", "on_test_end",
}

--- Keras's second names for hooks.
callback.hook_aliases = { on_train_batch_begin = "on_batch_begin", on_train_batch_end = "on_batch_end" }

--- Set when Ctrl-C ended a fit: who called fit in a loop of its own (a sweep) is to end too.
callback.interrupted = false

---@class moth.Callback
---@field model any
---@field params table
---@field peers moth.Callback[]
local Callback = {}
Callback.__index = Callback

--- Tells the user something, on a line of its own above the progress.
---@param text string
function Callback:say(text)
    local screen = self.params and self.params.screen or progress.default()
    screen:message(text)
end

--- Makes a class of callbacks and its constructor.
---@param spec moth.Spec
---@param class table  the methods; `init` runs after the options were read, `saved` names the fields that are its state
---@return fun(args: any): moth.Callback
function callback.class(spec, class)
    class.__index = class
    class.__name = "callbacks." .. spec.name
    setmetatable(class, Callback)
    local full = { name = class.__name, positionals = spec.positionals, table.unpack(spec) }
    return options.declare(function(args)
        local self = setmetatable(options.read(full, args), class)
        if self.init then
            self:init()
        end
        return self
    end, full)
end

--- What an interrupted fit needs to go on: the fields that a class lists as `saved`, and the one with weights of the
-- model (a list, as get_weights gives) that it names as `saved_weights`.
---@return table state
---@return any[]? weights
function Callback:state()
    local state = {}
    for _, name in ipairs(self.saved or {}) do
        state[name] = self[name]
    end
    return state, self.saved_weights and self[self.saved_weights]
end

--- Takes over what `state` returned in an earlier process.
---@param state table
---@param weights? any[]
function Callback:restore(state, weights)
    for _, name in ipairs(self.saved or {}) do
        -- JSON has no numbers that are not finite; they were written as strings.
        self[name] = json.number(state[name]) or state[name]
    end
    if self.saved_weights then
        self[self.saved_weights] = weights
    end
end

--- The optimizer's learning rate as a number; raises where a schedule governs it.
---@return number
function Callback:learning_rate()
    local rate = self.model.optimizer.learning_rate
    if not math.type(rate) then
        local name = options.show(self):gsub("^a ", "")
        options.fail(("%s: the optimizer's learning_rate must be a number; got a schedule"):format(name))
    end
    return rate
end

-- ---- the list that fit calls ----------------------------------------------------------------------------------------

---@class moth.CallbackList
---@field history moth.Callback
---@field takes_nonfinite boolean  one of them decides what a loss that is no number means
local List = {}
List.__index = List

local function is_object(value)
    return type(value) == "table" and (getmetatable(value) == nil or getmetatable(value).__index ~= nil)
end

local function check_entry(index, entry)
    if not is_object(entry) then
        options.fail(("fit: callbacks[%d] must be a callback or a table of hooks; got %s"):format(index,
            options.show(entry)))
    end
    local found = getmetatable(entry) ~= nil
    local names = {}
    for key in pairs(entry) do
        if type(key) == "string" and key:find("^on_") then
            names[#names + 1] = key
        end
    end
    table.sort(names)
    for _, name in ipairs(names) do
        local hook = callback.hook_aliases[name] or name
        local known = false
        for _, other in ipairs(callback.hooks) do
            known = known or other == hook
        end
        if not known then
            options.fail(("fit: callbacks[%d] has an %s"):format(index,
                options.unknown("unknown hook", name, callback.hooks)))
        end
        found = true
    end
    if not found then
        options.fail(("fit: callbacks[%d] has no hook; known: %s"):format(index, table.concat(callback.hooks, ", ")))
    end
end

-- Lets a callback choose its hooks by what the others want: the progress bar counts batches only when it must.
local function prepare(entries)
    for _, entry in ipairs(entries) do
        if type(entry.prepare) == "function" then
            local others = false
            for _, other in ipairs(entries) do
                others = others or other ~= entry and (other.on_batch_end or other.on_train_batch_end) ~= nil
            end
            entry:prepare(others)
        end
    end
end

-- Bound once, so that a batch costs one call for each callback that wants it.
local function bind_hooks(entries)
    local bound = {}
    for _, hook in ipairs(callback.hooks) do
        bound[hook] = {}
    end
    for _, entry in ipairs(entries) do
        for _, hook in ipairs(callback.hooks) do
            if entry[hook] then
                table.insert(bound[hook], entry)
            end
        end
        for alias, hook in pairs(callback.hook_aliases) do
            if entry[alias] and not entry[hook] then
                entry[hook] = entry[alias]
                table.insert(bound[hook], entry)
            end
        end
    end
    return bound
end

-- The user's first, then History, then the progress bar, as in Keras; and what keeps the state of all the others after
-- these have done their work.
local function in_order(entries)
    local ordered, last = {}, {}
    for _, entry in ipairs(entries) do
        table.insert(entry.runs_last and last or ordered, entry)
    end
    return table.move(last, 1, #last, #ordered + 1, ordered)
end

--- Checks the callbacks of a fit and makes the list that runs them.
---@param entries? table  what the user gave: a callback, or a list of them
---@param settings { model: any, params: table, history: moth.Callback, bar?: moth.Callback }
---@return moth.CallbackList
function callback.list(entries, settings)
    entries = entries or {}
    if not is_object(entries) then
        options.fail(("fit: callbacks must be a list of callbacks; got %s"):format(options.show(entries)))
    end
    -- A lone callback is taken for a list of one.
    if getmetatable(entries) or #entries == 0 and next(entries) ~= nil then
        entries = { entries }
    end
    local all, takes_nonfinite = {}, false
    local history, bar = settings.history, settings.bar
    for i, entry in ipairs(entries) do
        check_entry(i, entry)
        all[i] = entry
        takes_nonfinite = takes_nonfinite or entry.takes_nonfinite == true
        local class = getmetatable(entry)
        history = class and class == getmetatable(settings.history) and entry or history
        if bar and class == getmetatable(bar) then
            bar = nil
        end
    end
    if history == settings.history then
        all[#all + 1] = history
    end
    all[#all + 1] = bar
    all = in_order(all)
    for _, entry in ipairs(all) do
        entry.model, entry.params, entry.peers = settings.model, settings.params, all
    end
    prepare(all)
    return setmetatable({
        history = history, params = settings.params, bound = bind_hooks(all), takes_nonfinite = takes_nonfinite,
    }, List)
end

--- Whether any callback wants a hook: what would only be computed for it can be left out.
---@param hook string
---@return boolean
function List:wants(hook)
    return self.bound[hook][1] ~= nil
end

--- Calls a hook of every callback that has it.
---@param hook string
---@param ... any  the hook's arguments
function List:call(hook, ...)
    if hook == "on_train_end" and self.params.interrupted then
        callback.interrupted = true
    end
    for _, entry in ipairs(self.bound[hook]) do
        entry[hook](entry, ...)
    end
end

return callback
