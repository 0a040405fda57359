--- Panels of curves, points and bars in a gnuplot script.

local data = require "moth.plot_data"
local plot_script = require "moth.plot_script"
local plot_text = require "moth.plot_text"

local quote, number = plot_script.quote, plot_script.number
local INK, LONGEST_NAME, MARGINS = plot_script.INK, plot_script.LONGEST_NAME, plot_script.MARGINS

local plot_curves = {}

-- The palette of Okabe and Ito, which people with any colour vision can tell apart; its yellow, too light for a line on
-- white, is left out.
local series_colors = { "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000" }
local TURNED = math.cos(math.rad(35)) -- how wide a turned name is, of its length
local GRID = "#E2E2E2"

local function columns_of(...)
    local lists, rows = { ... }, {}
    for i = 1, #lists[1] do
        local row = {}
        for k, list in ipairs(lists) do
            row[k] = list[i]
        end
        rows[i] = row
    end
    return rows
end

local function set_axis(script, name, axis, ticks)
    script:add("set %srange [%s:%s]", name, number(axis.low), number(axis.high))
    script:add(axis.log and "set logscale %s" or "unset logscale %s", name)
    script:add("set %stics %s", name, plot_script.ticks(ticks))
end

local function x_ticks(panel, axis, width)
    if panel.categories then
        -- Where there is no room for all names, every second or third one stands for its neighbours.
        local stride = math.ceil(#panel.categories * 1.8 * plot_text.USUAL / (width - MARGINS))
        local ticks = {}
        for i = 1, #panel.categories, stride do
            ticks[#ticks + 1] = { i, plot_text.cut(panel.categories[i], LONGEST_NAME) }
        end
        return ticks
    end
    local ticks = data.ticks(axis, width / 70)
    local room = plot_text.longest(ticks) * plot_text.LETTER + 20
    return room > 70 and data.ticks(axis, width / room) or ticks
end

local function x_axis_of(panel)
    local axis = data.axis(data.lists(panel, "x"), { log = panel.xlog, limits = panel.xlim, what = "x" })
    if panel.categories then
        axis.low, axis.high = 0.4, #panel.categories + 0.6
        return axis
    elseif panel.series[1].style == "bars" then
        local half = panel.series[1].width / 2
        axis.low, axis.high = axis.low - half, axis.high + half
    end
    return data.pad(axis, panel.xlim, 0.02)
end

-- Bars stand on zero, and end below a tick.
local function y_axis_of(panel, ticks)
    local lists = data.lists(panel, "y", "low", "high")
    local bars = panel.series[1].style == "bars" and not panel.ylog
    if bars then
        lists[#lists + 1] = { 0 }
    end
    local axis = data.axis(lists, { log = panel.ylog, limits = panel.ylim, what = "y" })
    if bars and not panel.ylim then
        local step = data.tick_step(axis.low, axis.high, ticks)
        axis.low = axis.low < 0 and math.floor(axis.low / step - 0.1) * step or 0
        axis.high = axis.high > 0 and math.ceil(axis.high / step + 0.1) * step or 0
        return axis
    end
    return data.pad(axis, panel.ylim, 0.04)
end

-- Turned names end at their ticks: the first one needs room on the left, where gnuplot gives it to the last one on the
-- right. A legend on that side keeps its room.
local function set_margins(script, panel, names, room)
    local letters = names and math.min(plot_text.longest { names[1] }, LONGEST_NAME) or 0
    local needed = math.ceil(letters * TURNED - 0.6 * room / plot_text.LETTER)
    script:add(needed > 7 and "set lmargin %d" or "unset lmargin #%d", needed)
    script:add(names and #panel.series <= 4 and "set rmargin 3" or "unset rmargin")
end

local function set_axes(script, panel, width, height)
    local x_axis = x_axis_of(panel)
    set_axis(script, "x", x_axis, x_ticks(panel, x_axis, width))
    local room = (width - MARGINS) / #panel.series[1].x
    local direction = plot_script.direction(panel.categories, room)
    script:add("set xtics %s", direction)
    set_margins(script, panel, direction ~= "norotate" and panel.categories, room)
    local count = height / 50
    local y_axis = y_axis_of(panel, count)
    set_axis(script, "y", y_axis, data.ticks(y_axis, count))
end

-- What is drawn for one series: the range behind, then the curve.
local function series_parts(script, panel, series, index, letters)
    local color = series_colors[(index - 1) % #series_colors + 1]
    local title = series.label and "title " .. quote(plot_text.cut(series.label, letters)) or "notitle"
    local parts = {}
    local function part(format, ...)
        parts[#parts + 1] = format:format(...)
    end
    if series.style == "bars" then
        local block = script:block(columns_of(series.x, series.y))
        script:add("set boxwidth %s", number(series.width or 0.7))
        part("%s using 1:2 with boxes fs solid 1 border lc rgb '#FFFFFF' fc rgb '%s' %s", block, color, title)
    end
    if series.low then
        local block = script:block(columns_of(series.x, series.y, series.low, series.high))
        local as_band = series.style == "line" and not panel.categories and #series.x > 2
        if as_band then
            part("%s using 1:3:4 with filledcurves fs transparent solid 0.18 noborder fc rgb '%s' notitle", block,
                color)
        else
            part("%s using 1:3:(0):($4-$3) with vectors nohead lc rgb '%s' lw 2 notitle", block,
                series.style == "bars" and INK or color)
        end
    end
    if series.style ~= "bars" then
        local block = script:block(columns_of(series.x, series.y))
        local few = #series.x <= 30
        local with = series.style == "points" and "points" or series.style == "steps" and "steps"
            or few and "linespoints" or "lines"
        local dots = (with == "points" or with == "linespoints") and " pt 7 ps " .. (few and 0.55 or 0.35) or ""
        local dashes = index > #series_colors and " dt 2" or ""
        part("%s using 1:2 with %s lc rgb '%s' lw 2%s%s %s", block, with, color, dashes, dots, title)
    end
    return parts
end

local function bar_labels(script, series, parts)
    if series.style ~= "bars" or series.width or #series.x > 12 or series.low then
        return
    end
    local lines = {}
    for i, y in ipairs(series.y) do
        if data.finite(y) then
            local text = math.type(y) == "integer" and tostring(y) or ("%.4g"):format(y)
            lines[#lines + 1] = ("set label %d %s at first %s, first %s center offset 0,0.6 textcolor rgb '%s'"):format(
                i, quote(text), number(series.x[i]), number(math.max(y, 0)), INK)
        end
    end
    script:add("%s", table.concat(lines, "\n"))
    return parts
end

--- Draws a panel of curves, points or bars.
---@param script table
---@param panel table
---@param width number
---@param height number
function plot_curves.draw(script, panel, width, height)
    set_axes(script, panel, width, height)
    local parts, labelled = {}, false
    -- A legend beside the curves leaves them more than half of the picture.
    local room = #panel.series <= 4 and width - MARGINS or 0.4 * width
    local letters = math.max(8, math.floor(room / plot_text.LETTER))
    for i, series in ipairs(panel.series) do
        labelled = labelled or series.label ~= nil
        local own = series_parts(script, panel, series, i, letters)
        table.move(own, 1, #own, #parts + 1, parts)
        bar_labels(script, series, parts)
    end
    script:add("set border 3 lc rgb '%s'", INK)
    script:add("set grid ytics lt 1 lw 1 lc rgb '%s' back", GRID)
    if labelled then
        -- Above the curves as far as the names fit into a line or two, else beside them.
        script:add("set key %s Left reverse samplen 2 spacing 1.1 textcolor rgb '%s'",
            #panel.series <= 4 and "tmargin left horizontal" or "rmargin top vertical", INK)
    else
        script:add("unset key")
    end
    script:add(panel.series[1].style == "bars" and "set xzeroaxis lt 1 lw 1 lc rgb '%s'" or "unset xzeroaxis #%s", INK)
    script:add("plot %s", table.concat(parts, ", \\\n  "))
    script:add("unset label")
end

return plot_curves
