--- What was typed at the prompt, kept between runs: $MOTH_HISTORY, else $XDG_STATE_HOME/moth/history (~/.local/state).
--- An entry is a line; a chunk of several lines has its breaks written as \n and its backslashes as \\. Entries are
--- appended as they come, so several programs can share the file and a crash loses nothing.
local files = require "moth.files"

local history = {}

local MOST = 2000 -- entries kept; the file may grow to twice that

---@class moth.LineHistory
---@field path string?
---@field last string?
---@field remember fun(text: string)
local History = {}
History.__index = History

local function find_path()
    local set = os.getenv "MOTH_HISTORY"
    if set then
        return set ~= "" and set or nil
    end
    local state, home = os.getenv "XDG_STATE_HOME", os.getenv "HOME"
    if state and state ~= "" then
        return state .. "/moth/history"
    end
    return home and home .. "/.local/state/moth/history"
end

local function encode(text)
    return (text:gsub("\\", "\\\\"):gsub("\n", "\\n"))
end

local function decode(line)
    return (line:gsub("\\(.)", function(char)
        return char == "n" and "\n" or char
    end))
end

local function read_entries(path)
    local entries = {}
    local file = io.open(path, "rb")
    if file then
        for line in file:lines() do
            entries[#entries + 1] = line
        end
        file:close()
    end
    return entries
end

--- Loads what was typed before, oldest first, into `remember`.
---@param remember fun(text: string)
---@return moth.LineHistory
function history.open(remember)
    local self = setmetatable({ path = find_path(), remember = remember }, History)
    if not self.path then
        return self
    end
    local entries = read_entries(self.path)
    local first = math.max(1, #entries - MOST + 1)
    for i = first, #entries do
        self.last = decode(entries[i])
        remember(self.last)
    end
    -- History is a convenience: what cannot be written is no error.
    pcall(files.make_parent, self.path)
    if #entries > 2 * MOST then
        pcall(files.write, self.path, table.concat(entries, "\n", first) .. "\n")
    end
    return self
end

--- Adds a chunk; the same one again is not added twice, nor one that starts with a blank.
---@param text string
function History:add(text)
    text = text:gsub("%s+$", "")
    if text == self.last or text:find "^%s" then
        return
    end
    self.last = text
    self.remember(text)
    local file = self.path and io.open(self.path, "ab")
    if file then
        file:write(encode(text), "\n")
        file:close()
    end
end

return history
