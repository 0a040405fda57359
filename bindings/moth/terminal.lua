--- What the terminal can do: is there one, how wide, colours, UTF-8.
-- Nothing is asked before it is needed, and the width is asked anew each time, because windows are resized.

local found, core = pcall(require, "moth.core")
if not found then
    core = {}
end

local terminal = {}

local function set(name)
    local value = os.getenv(name)
    return value and value ~= "" and value or nil
end

local descriptors = { stdin = 0, stdout = 1, stderr = 2 }
local known_ttys = {}

--- Whether a standard stream is a terminal.
---@param stream "stdin"|"stdout"|"stderr"
---@return boolean
function terminal.is_tty(stream)
    if known_ttys[stream] == nil then
        local fd = descriptors[stream]
        -- `test` inherits the descriptors, so stock Lua can ask too.
        known_ttys[stream] = core.isatty and core.isatty(fd) or not core.isatty and os.execute("test -t " .. fd) == true
    end
    return known_ttys[stream]
end

local function from_environment(name, default)
    local value = math.tointeger(tonumber(os.getenv(name) or ""))
    return value and value > 0 and value or default
end

--- Columns of the terminal.
---@return integer
function terminal.width()
    local columns = core.terminal_width and core.terminal_width()
    return columns and columns > 0 and columns or from_environment("COLUMNS", 80)
end

--- Lines of the terminal.
---@return integer
function terminal.height()
    local lines = core.terminal_height and core.terminal_height()
    return lines and lines > 0 and lines or from_environment("LINES", 24)
end

--- Whether text is UTF-8 here, by the first of LC_ALL, LC_CTYPE and LANG that is set.
---@return boolean
function terminal.utf8()
    local locale = (set("LC_ALL") or set("LC_CTYPE") or set("LANG") or ""):lower()
    return locale:find("utf%-?8") ~= nil
end

--- Whether the terminal understands control sequences at all.
---@return boolean
function terminal.can_move()
    local term = set("TERM")
    return term ~= nil and term ~= "dumb"
end

--- Whether to write colours to a stream. NO_COLOR wins over CLICOLOR_FORCE and FORCE_COLOR, these over the rest.
---@param stream "stdout"|"stderr"
---@return boolean
function terminal.color(stream)
    if set("NO_COLOR") then
        return false
    end
    local force = set("CLICOLOR_FORCE") or set("FORCE_COLOR")
    if force then
        return force ~= "0"
    end
    return terminal.can_move() and terminal.is_tty(stream)
end

--- How many columns a text takes, without control sequences; each character counts as one column.
---@param text string
---@return integer
function terminal.columns(text)
    text = text:gsub("\27%[[%d;]*%a", "")
    return utf8.len(text) or #text
end

--- A text in a colour or weight.
---@param text string
---@param code string  of the control sequence, e.g. "1" or "38;5;32"
---@param color boolean  whether colours are wanted
---@return string
function terminal.paint(text, code, color)
    return color and text ~= "" and ("\27[%sm%s\27[0m"):format(code, text) or text
end

--- A text at the right end of some columns.
---@param text string
---@param columns integer
---@return string
function terminal.pad_left(text, columns)
    return (" "):rep(columns - terminal.columns(text)) .. text
end

--- A text in the middle of some columns.
---@param text string
---@param columns integer
---@return string
function terminal.centred(text, columns)
    return (" "):rep((columns - terminal.columns(text)) // 2) .. text
end

--- As much of a text as fits into some columns.
---@param text string  without control sequences
---@param columns integer
---@return string
function terminal.clip(text, columns)
    if terminal.columns(text) <= columns then
        return text
    elseif columns < 1 then
        return ""
    end
    return text:sub(1, (utf8.offset(text, columns + 1) or columns + 1) - 1)
end

return terminal
