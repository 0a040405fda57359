--- What is seen of a sweep while it runs.
-- On a live screen a table at the bottom: what is done, what runs and how far it is, and when it will be over.
-- Elsewhere one line for each finished trial. All of it goes to standard error; the results are `sweep:table()`.

local progress = require "moth.progress"
local sweep_table = require "moth.sweep_table"
local terminal = require "moth.terminal"

local Watch = {}
Watch.__index = Watch

local INTERVAL = 0.2

local sweep_watch = {}

--- Starts watching.
---@param sweep table
---@param pending integer[]  the trials that will run
---@param workers integer
---@param screen? moth.Screen
---@return table
function sweep_watch.new(sweep, pending, workers, screen)
    screen = screen or progress.default()
    local watch = setmetatable({
        sweep = sweep, pending = pending, workers = workers, screen = screen, started = screen.clock(),
        running = {}, done = 0, total = #pending, finished = {},
    }, Watch)
    if watch:in_table() then
        watch:draw()
    else
        screen:message(("sweep %s: %d of %d trials to run, %d worker%s (%s)"):format(sweep.name, #pending,
            #sweep.trials, workers, workers == 1 and "" or "s", sweep.store.directory))
    end
    return watch
end

function Watch:in_table()
    return self.screen.live and self.sweep.verbose ~= 2
end

function Watch:describe(index)
    return sweep_table.describe(self.sweep.names, self.sweep.trials[index].params)
end

-- What the sweep looks for first, then the other results.
function Watch:outcome(record)
    if record.status == "failed" then
        return "failed: " .. record.error
    end
    local parts, first = {}, self.sweep.prune and self.sweep.prune.metric
    for _, pair in ipairs(progress.pairs(record.result or {})) do
        local at = pair[1] == first and 1 or #parts + 1
        table.insert(parts, at, ("%s: %s"):format(pair[1], sweep_table.number(pair[2])))
    end
    if record.status == "pruned" then
        parts[#parts + 1] = "ended early"
    end
    return table.concat(parts, " - ")
end

-- The time that is left if trials go on as they went.
function Watch:remaining()
    if self.done == 0 then
        return ""
    end
    local each = (self.screen.clock() - self.started) / self.done
    return " - ETA: " .. progress.remaining(each * (self.total - self.done))
end

function Watch:head()
    local all = #self.sweep.trials
    return ("sweep %s: %d/%d trials - %d running%s"):format(self.sweep.name, all - self.total + self.done, all,
        self:count_running(), self:remaining())
end

function Watch:count_running()
    local n = 0
    for _ in pairs(self.running) do
        n = n + 1
    end
    return n
end

-- The rows that fit: what runs, and above it what was finished last.
function Watch:rows()
    local room = math.max(3, math.min(terminal.height() - 4, 30)) - self:count_running()
    local rows = {}
    for i = math.max(1, #self.finished - room + 1), #self.finished do
        local entry = self.finished[i]
        rows[#rows + 1] = { self:describe(entry.index), self:outcome(entry.record) }
    end
    local indices = {}
    for index in pairs(self.running) do
        indices[#indices + 1] = index
    end
    table.sort(indices)
    for _, index in ipairs(indices) do
        local at = self.running[index]
        rows[#rows + 1] = { self:describe(index),
            at.step and ("step %d: %s"):format(at.step, progress.number(at.value)) or "running" }
    end
    return rows
end

function Watch:draw()
    local columns = self.screen.width() - 1
    local rows, size = self:rows(), 0
    for _, row in ipairs(rows) do
        size = math.max(size, terminal.columns(row[1]))
    end
    local lines = { terminal.paint(terminal.clip(self:head(), columns), "1", self.screen.color) }
    for _, row in ipairs(rows) do
        local text = "  " .. row[1] .. (" "):rep(size - terminal.columns(row[1]) + 2) .. row[2]
        lines[#lines + 1] = terminal.clip(text, columns)
    end
    self.screen:keep(lines)
    self.drawn = self.screen.clock()
end

function Watch:start(index)
    self.running[index] = {}
    progress.nest(("%s %d/%d"):format(self.sweep.name, #self.sweep.trials - self.total + self.done + 1,
        #self.sweep.trials))
    if self:in_table() then
        self:draw()
    end
end

function Watch:report(index, step, value)
    self.running[index] = { step = step, value = value }
    if self:in_table() and self.screen.clock() - (self.drawn or 0) >= INTERVAL then
        self:draw()
    end
end

function Watch:lost(index)
    self.running[index] = nil
    self.screen:message(("sweep %s: the process of %s ended; trying again"):format(self.sweep.name,
        self:describe(index)))
end

-- A worker that failed outside a trial: the others go on without it.
function Watch:ended(worker, how)
    self.screen:message(("sweep %s: worker %s ended early with %s"):format(self.sweep.name, worker, how))
end

function Watch:finish(index, record, trace)
    self.running[index] = nil
    progress.unnest()
    if not record then
        return
    end
    self.done = self.done + 1
    table.insert(self.finished, { index = index, record = record })
    if trace then
        self.screen:message(("sweep %s: %s: %s"):format(self.sweep.name, self:describe(index), trace))
    end
    if self:in_table() then
        self:draw()
    else
        self.screen:message(("%s - %s%s"):format(self:describe(index), self:outcome(record), self:remaining()))
    end
end

--- Ends watching.
---@param interrupted boolean
function Watch:close(interrupted)
    progress.unnest()
    if self:in_table() and interrupted then
        self.screen:leave()
    elseif self:in_table() then
        self.screen:drop() -- the table of results follows
    end
    local sweep = self.sweep
    local elapsed = progress.elapsed(self.screen.clock() - self.started)
    if interrupted then
        self.screen:message(("sweep %s: stopped after %s with %d of %d trials finished; run it again to go on"):format(
            sweep.name, elapsed, #sweep.trials - self.total + self.done, #sweep.trials))
    else
        self.screen:message(("sweep %s: %d trials in %s (%s)"):format(sweep.name, self.done, elapsed,
            sweep.store.directory))
    end
end

--- One that shows nothing (verbose = 0).
---@return table
function sweep_watch.silent()
    local silent = {}
    for _, name in ipairs { "start", "report", "finish", "lost", "ended", "close" } do
        silent[name] = function() end
    end
    return silent
end

return sweep_watch
