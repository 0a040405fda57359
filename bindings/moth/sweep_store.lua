--- What a sweep keeps in runs/NAME: trials.jsonl, one line for each finished trial.
-- A line is appended by one write to a file opened for appending, so lines of several processes do not mix. A process
-- that is killed can leave a torn last line: such lines are taken for nothing, and dropped when the sweep goes on.
-- While it runs, workers agree by claims: making a directory succeeds for one process only.

local core = require "moth.core"
local files = require "moth.files"
local json = require "moth.json"
local options = require "moth.options"

local Store = {}
Store.__index = Store

local store = {}

--- Opens the directory of a sweep.
---@param directory string
---@return table
function store.open(directory)
    files.make_directory(directory)
    return setmetatable({ directory = directory, path = directory .. "/trials.jsonl", seen = 0, by_id = {} }, Store)
end

--- Keeps other processes from running this sweep at the same time. The claim ends with the process that has it.
---@param name string
---@return userdata hold  to be closed
function Store:hold(name)
    return core.hold_directory(self.directory) or options.fail(
        ("sweep %s: it is being run already (%s); wait for the end of that run, or give another name"):format(name,
            self.directory))
end

-- Numbers that are not finite were written as strings.
local function restored(record)
    for name, value in pairs(record.result or {}) do
        record.result[name] = json.number(value) or value
    end
    for _, pair in ipairs(record.reports or {}) do
        pair[2] = json.number(pair[2])
    end
    return record
end

local function is_record(record)
    return type(record) == "table" and type(record.id) == "string" and type(record.params) == "table"
        and type(record.status) == "string"
end

-- The records in a text, and whether all of it was records.
local function parse(text)
    local records, whole = {}, text == "" or text:sub(-1) == "\n"
    for line in text:gmatch("[^\n]+") do
        local read, record = pcall(json.decode, line)
        if read and is_record(record) then
            records[#records + 1] = { line = line, record = restored(record) }
        else
            whole = false
        end
    end
    return records, whole
end

-- What was appended since the last look, up to the last whole line.
function Store:new_text()
    local file = io.open(self.path, "rb")
    if not file then
        return ""
    elseif file:seek("end") < self.seen then
        self.seen, self.by_id = 0, {}
    end
    file:seek("set", self.seen)
    local text = (file:read("a") or ""):match("^.*\n") or ""
    file:close()
    self.seen = self.seen + #text
    return text
end

--- The finished trials by their identity. Where one was run twice, the first counts.
---@return table<string, table>
function Store:read()
    for _, entry in ipairs((parse(self:new_text()))) do
        self.by_id[entry.record.id] = self.by_id[entry.record.id] or entry.record
    end
    return self.by_id
end

--- Drops what a killed run left: torn lines, claims. Only before any worker runs.
function Store:repair()
    for _, name in ipairs(core.list_directory(self.directory)) do
        if name:find("^claims%-") then
            self:end_claims()
            break
        end
    end
    local records, whole = parse(files.exists(self.path) and files.read(self.path) or "")
    if not whole then
        local lines = {}
        for i, entry in ipairs(records) do
            lines[i] = entry.line .. "\n"
        end
        files.write(self.path, table.concat(lines))
    end
end

--- Forgets all trials.
function Store:clear()
    os.remove(self.path)
    self.seen, self.by_id = 0, {}
end

-- What goes in front of a line: where a full disk or a kill left a torn line, the end of that.
local function separator(file)
    return file:seek("end", -1) and file:read(1) ~= "\n" and "\n" or ""
end

--- Appends a record as one line by one write.
---@param record table
function Store:append(record)
    local line = json.encode(record) .. "\n"
    local file, problem = io.open(self.path, "a+b")
    if file then
        line = separator(file) .. line
        file:setvbuf("full", #line + 1)
        local written, failure = file:write(line)
        local closed, late = file:close()
        problem = not written and failure or not closed and late or nil
    end
    if problem then
        options.fail(("sweep: cannot write %s: %s"):format(self.path, problem))
    end
end

-- ---- claims ---------------------------------------------------------------------------------------------------------

--- Starts a round of workers: claims of earlier rounds, whose processes may be dead, no longer count.
function Store:new_claims()
    self:end_claims()
    local unique = os.tmpname()
    os.remove(unique)
    self.claims = self.directory .. "/claims-" .. unique:match("[^/]*$")
    files.make_directory(self.claims)
end

--- Removes all claims.
function Store:end_claims()
    os.execute("rm -rf -- " .. files.quote(self.directory) .. "/claims-*")
end

--- Takes a trial for this process; false when another one has it.
---@param id string
---@return boolean
function Store:claim(id)
    return os.execute("mkdir -- " .. files.quote(self.claims .. "/" .. id) .. " 2>/dev/null") == true
end

--- Whether some process has taken a trial.
---@param id string
---@return boolean
function Store:is_claimed(id)
    return files.exists(self.claims .. "/" .. id)
end

--- Gives a trial back whose process died.
---@param id string
function Store:release(id)
    os.remove(self.claims .. "/" .. id)
end

return store
