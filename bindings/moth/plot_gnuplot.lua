--- Figures as SVG, PNG and PDF, drawn by gnuplot.
-- gnuplot is asked for only when a file is to be written. It gets one temporary script that holds the data; every text
-- is quoted so that gnuplot takes it as text; the picture is written beside the wanted file and renamed when gnuplot
-- says that all went well.

local data = require "moth.plot_data"
local files = require "moth.files"
local options = require "moth.options"
local plot_svg = require "moth.plot_svg"
local plot_text = require "moth.plot_text"

local plot_gnuplot = {}

-- ---- looks ----------------------------------------------------------------------------------------------------------

-- The palette of Okabe and Ito, which people with any colour vision can tell apart; its yellow, too light for a line on
-- white, is left out.
local series_colors = { "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000" }
local INK, GRID = "#333333", "#E2E2E2"

-- From paper to ink: one hue for amounts, two for signs.
local palettes = {
    sequential = "defined (0 '#FFFFFF', 0.25 '#CFE2F0', 0.5 '#86B7DA', 0.75 '#3386BD', 1 '#08406B')",
    diverging = "defined (-1 '#08519C', -0.5 '#6BAED6', 0 '#FFFFFF', 0.5 '#F4A582', 1 '#B2182B')",
    grey = "defined (0 '#FFFFFF', 1 '#000000')",
}

local PANEL_WIDTH, PANEL_HEIGHT = 640, 400
local SMALL_WIDTH, SMALL_HEIGHT = 460, 340
local TITLE, LABEL = 16, 13 -- of texts, in pixels

-- What an axis and its texts take beside the curves, in pixels; the longest name of a category, in letters.
local MARGINS, LONGEST_NAME = 80, 28

-- ---- writing gnuplot ------------------------------------------------------------------------------------------------

-- In single quotes gnuplot knows no escapes but the doubled quote.
local function quote(text)
    return "'" .. text:gsub("%c", " "):gsub("'", "''") .. "'"
end

-- Texts of ticks are formats to gnuplot, other texts are not.
local function quote_tick(text)
    return (quote(text):gsub("%%", "%%%%"))
end

local function number(x)
    return data.finite(x) and ("%.9g"):format(x) or "NaN"
end

local Script = {}
Script.__index = Script

local function new_script(kind)
    return setmetatable({ lines = {}, blocks = 0, kind = kind }, Script)
end

--- A font of some pixels, as this kind of file counts: SVG in pixels, the others in points.
function Script:font(pixels, style)
    local svg = self.kind == "svg"
    local name = style and (svg and "sans-serif" or "Sans") .. style or ""
    return ("font '%s,%g'"):format(name, svg and pixels or pixels * 0.75)
end

function Script:add(format, ...)
    self.lines[#self.lines + 1] = select("#", ...) > 0 and format:format(...) or format
end

--- Adds rows of numbers; returns the name of the block.
function Script:block(rows)
    self.blocks = self.blocks + 1
    local name = "$data" .. self.blocks
    self:add("%s << END_OF_DATA", name)
    for _, row in ipairs(rows) do
        local texts = {}
        for i, x in ipairs(row) do
            texts[i] = number(x)
        end
        self:add(table.concat(texts, " "))
    end
    self:add("END_OF_DATA")
    return name
end

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

-- ---- curves and bars ------------------------------------------------------------------------------------------------

local function lists_of(panel, ...)
    local lists = {}
    for _, series in ipairs(panel.series) do
        for _, key in ipairs { ... } do
            lists[#lists + 1] = series[key]
        end
    end
    return lists
end

local function tick_list(ticks)
    local parts = {}
    for i, tick in ipairs(ticks) do
        parts[i] = ("%s %s"):format(quote_tick(tick[2]), number(tick[1]))
    end
    return "(" .. table.concat(parts, ", ") .. ")"
end

local function set_axis(script, name, axis, ticks)
    script:add("set %srange [%s:%s]", name, number(axis.low), number(axis.high))
    script:add(axis.log and "set logscale %s" or "unset logscale %s", name)
    script:add("set %stics %s", name, tick_list(ticks))
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

-- How names below an axis stand that are `room` pixels apart.
local function direction(names, room)
    return names and (plot_text.longest(names) + 1) * plot_text.LETTER > room and "rotate by 35 right" or "norotate"
end

local function x_axis_of(panel)
    local axis = data.axis(lists_of(panel, "x"), { log = panel.xlog, limits = panel.xlim, what = "x" })
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
    local lists = lists_of(panel, "y", "low", "high")
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

local function set_axes(script, panel, width, height)
    local x_axis = x_axis_of(panel)
    set_axis(script, "x", x_axis, x_ticks(panel, x_axis, width))
    script:add("set xtics %s", direction(panel.categories, (width - MARGINS) / #panel.series[1].x))
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

local function xy(script, panel, width, height)
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

-- ---- heat maps and pictures -----------------------------------------------------------------------------------------

local function set_colors(script, panel)
    script:add("set palette maxcolors 64 %s", palettes[panel.palette] or palettes.grey)
    script:add("set cbrange [%s:%s]", number(panel.limits[1]),
        number(panel.limits[2] > panel.limits[1] and panel.limits[2] or panel.limits[1] + 1))
    if panel.colorbar then
        script:add("set colorbox noborder user size 0.02, graph 1 origin graph 1.02, graph 0")
        script:add("set cbtics nomirror scale 0.4 textcolor rgb '%s' %s", INK,
            tick_list(data.ticks({ low = panel.limits[1], high = panel.limits[2] }, 5)))
        script:add("set rmargin 9")
    else
        script:add("unset colorbox; unset rmargin")
    end
end

local function set_frame(script, columns, rows)
    script:add("set xrange [0.5:%s]", number(columns + 0.5))
    script:add("set yrange [%s:0.5]", number(rows + 0.5))
    script:add("unset key; unset grid; unset border; unset logscale")
end

-- Dark cells have white numbers.
local function cell_labels(script, panel)
    local low, high = panel.limits[1], panel.limits[2]
    local font = script:font(#panel.values[1] > 12 and 9 or 12)
    for i, row in ipairs(panel.values) do
        for j, value in ipairs(row) do
            local text = panel.texts[i][j]
            if text ~= "" then
                local t = data.finite(value) and high > low and (value - low) / (high - low) or 0
                local dark = t > 0.5
                if panel.palette == "diverging" then
                    dark = t > 0.85 or t < 0.15
                end
                script:add("set label %s at first %d, first %d center %s textcolor rgb '%s' front", quote(text), j, i,
                    font, dark and "#FFFFFF" or INK)
            end
        end
    end
end

-- How wide and high the cells of a heat map are that nobody chose, in pixels.
local function cell_size(panel)
    local cell = math.max(14, math.min(48, 560 // math.max(#panel.values, #panel.values[1])))
    return math.max(cell, math.min(8 * plot_text.longest(panel.xnames) + 6, 90)), cell
end

local function heatmap(script, panel)
    local rows, columns = #panel.values, #panel.values[1]
    set_frame(script, columns, rows)
    set_colors(script, panel)
    local function ticks(names)
        local list = {}
        for i, name in ipairs(names) do
            list[i] = { i, plot_text.cut(name, LONGEST_NAME) }
        end
        return tick_list(list)
    end
    script:add("set xtics %s scale 0 %s", ticks(panel.xnames), direction(panel.xnames, (cell_size(panel))))
    script:add("set ytics %s scale 0", ticks(panel.ynames))
    script:add(panel.square and "set size ratio 1" or "set size noratio")
    if panel.texts then
        cell_labels(script, panel)
    end
    local block = script:block(panel.values)
    -- In SVG cells are rectangles, which stay sharp at any size; elsewhere rectangles would leave seams.
    script:add("plot %s matrix using ($1+1):($2+1):3 with image %s", block, script.kind == "svg" and "pixels" or "")
    script:add("unset label; set size noratio; unset colorbox; unset rmargin")
end

local GAP, TITLE_ROOM = 2, 6 -- in pixels of the pictures

-- All pictures as one: a mosaic with gaps of paper. One image element is small in SVG and drawn in one call.
local function mosaic(panel)
    local height, width = 0, 0
    for _, image in ipairs(panel.images) do
        height, width = math.max(height, #image), math.max(width, #image[1])
    end
    local across = math.min(panel.columns, #panel.images)
    local down = math.ceil(#panel.images / across)
    local title_room = panel.titles and math.max(TITLE_ROOM, height // 5) or 0
    local cell_height, cell_width = height + GAP + title_room, width + GAP
    local paper = panel.palette == "rgb" and { panel.limits[2], panel.limits[2], panel.limits[2] }
        or panel.palette == "diverging" and 0 / 0 or 0
    local rows = {}
    for i = 1, down * cell_height - GAP do
        rows[i] = {}
        for j = 1, across * cell_width - GAP do
            rows[i][j] = paper
        end
    end
    local places = {}
    for k, image in ipairs(panel.images) do
        local top = (k - 1) // across * cell_height + title_room
        local left = (k - 1) % across * cell_width
        places[k] = { left + #image[1] / 2, top }
        for i, row in ipairs(image) do
            for j, pixel in ipairs(row) do
                local as_color = panel.palette == "rgb" and type(pixel) ~= "table"
                rows[top + i][left + j] = as_color and { pixel, pixel, pixel } or pixel
            end
        end
    end
    return rows, places, title_room
end

local function image_titles(script, panel, places, pixel)
    for k, title in ipairs(panel.titles) do
        local font = script:font(math.max(9, math.min(14, math.floor(pixel * 4.5))), panel.marked[k] and ":Bold")
        script:add("set label %s at first %s, first %s center offset 0,0.55 %s textcolor rgb '%s' front", quote(title),
            number(places[k][1] + 0.5), number(places[k][2] + 0.5), font, panel.marked[k] and "#D55E00" or INK)
    end
end

local function pictures(script, panel, width)
    local rows, places = mosaic(panel)
    set_frame(script, #rows[1], #rows)
    script:add("unset tics; set size ratio -1")
    set_colors(script, panel)
    if panel.titles then
        image_titles(script, panel, places, width / #rows[1])
    end
    if panel.palette == "rgb" then
        local points = {}
        for i, row in ipairs(rows) do
            for j, pixel in ipairs(row) do
                points[#points + 1] = { j, i, pixel[1] * 255 / panel.limits[2], pixel[2] * 255 / panel.limits[2],
                    pixel[3] * 255 / panel.limits[2] }
            end
        end
        script:add("plot %s using 1:2:3:4:5 with rgbimage", script:block(points))
    else
        script:add("plot %s matrix using ($1+1):($2+1):3 with image", script:block(rows))
    end
    script:add("unset label; set size noratio; unset colorbox; unset rmargin; set tics")
end

-- ---- figures --------------------------------------------------------------------------------------------------------

local drawers = { xy = xy, heatmap = heatmap, images = pictures }

-- The size of a panel that nobody chose, in pixels of 1/96 inch.
local function panel_size(panel, panels)
    if panel.kind == "images" then
        local rows = mosaic(panel)
        -- Small pictures are magnified, large ones shown whole.
        local pixel = math.max(1, math.min(6, 640 // #rows[1]))
        return math.max(#rows[1] * pixel + (panel.colorbar and 90 or 20), 160), #rows * pixel + 20
    elseif panel.kind == "heatmap" then
        local rows, columns = #panel.values, #panel.values[1]
        local width, height = cell_size(panel)
        local below = direction(panel.xnames, width) == "norotate" and 0
            or math.min(plot_text.longest(panel.xnames), LONGEST_NAME) * plot_text.LETTER * 4 // 7
        local beside = 8 * math.min(plot_text.longest(panel.ynames), LONGEST_NAME)
        return math.max(columns * width + 130 + beside, 260), math.max(rows * height + 90 + below, 200)
    elseif panels > 1 then
        return SMALL_WIDTH, SMALL_HEIGHT
    end
    return PANEL_WIDTH, PANEL_HEIGHT
end

local function figure_size(figure)
    local width, height = 0, 0
    for _, panel in ipairs(figure.panels) do
        local w, h = panel_size(panel, #figure.panels)
        width, height = math.max(width, w), math.max(height, h)
    end
    local across = figure.columns or 1
    local down = math.ceil(#figure.panels / across)
    return figure.width or width * across, figure.height or height * down + (figure.title and 34 or 0), across, down
end

local function set_terminal(script, kind, width, height)
    if kind == "svg" then
        script:add("set terminal svg size %d,%d noenhanced font 'sans-serif,13' standalone background rgb 'white'",
            width, height)
    elseif kind == "png" then
        -- Twice the pixels: sharp on any screen and on paper.
        script:add("set terminal pngcairo size %d,%d noenhanced font 'Sans,10' fontscale 2 linewidth 2 pointscale 2",
            width * 2, height * 2)
    else
        script:add("set terminal pdfcairo size %.4fin,%.4fin noenhanced font 'Sans,10' fontscale 1", width / 96,
            height / 96)
    end
end

-- gnuplot puts a legend above the title of its plot, and centres the title over the cells of a heat map; the title of a
-- multiplot is on top and in the middle.
local function needs_multiplot(figure)
    local panel = figure.panels[1]
    return #figure.panels > 1
        or figure.title and (panel.kind == "heatmap" or panel.kind == "xy" and panel.series[1].label)
end

-- The text and look of a title or label that has `room` pixels.
local function fitted(script, text, room, size)
    local shown, fits = plot_text.fit(text, room, size)
    return ("%s %s textcolor rgb '%s'"):format(quote(shown), script:font(fits), INK)
end

local function label_of(script, name, text, room, size)
    return text and ("set %s %s"):format(name, fitted(script, text, room, size)) or "unset " .. name
end

--- The gnuplot script of a figure.
---@param figure table
---@param kind "svg"|"png"|"pdf"
---@param output string  the file that gnuplot is to write
---@return string
function plot_gnuplot.script(figure, kind, output)
    local script = new_script(kind)
    local width, height, across, down = figure_size(figure)
    script:add("set encoding utf8")
    set_terminal(script, kind, width, height)
    script:add("set output %s", quote(output))
    script:add("set tics nomirror out scale 0.5 textcolor rgb '%s'", INK)
    local single = not needs_multiplot(figure)
    if not single then
        local title = figure.title and "title " .. fitted(script, figure.title, width, TITLE) or ""
        script:add("set multiplot layout %d,%d %s", down, across, title)
    end
    for _, panel in ipairs(figure.panels) do
        local title = panel.title or single and figure.title or nil
        local panel_width, panel_height = width / across, height / down
        script:add("%s", label_of(script, "title", title, panel_width - MARGINS / 2, TITLE))
        script:add("%s", label_of(script, "xlabel", panel.xlabel, panel_width - MARGINS, LABEL))
        script:add("%s", label_of(script, "ylabel", panel.ylabel, panel_height - MARGINS / 2, LABEL))
        drawers[panel.kind](script, panel, panel_width, panel_height)
    end
    script:add(single and "unset output" or "unset multiplot; unset output")
    return table.concat(script.lines, "\n") .. "\n"
end

local function run(script_path)
    local pipe = io.popen("LC_ALL=C gnuplot -d " .. files.quote(script_path) .. " 2>&1")
    local output = pipe:read("a")
    local done, _, code = pipe:close()
    return done, code, output
end

--- Writes a figure; the ending of the name chooses the format.
---@param figure table
---@param path string
function plot_gnuplot.write(figure, path)
    local kind = path:match("%.(%w+)$"):lower()
    local temporary = files.temporary(path)
    files.make_parent(path)
    local script_path = os.tmpname()
    files.write(script_path, plot_gnuplot.script(figure, kind, temporary))
    local done, code, output = run(script_path)
    os.remove(script_path)
    if code == 127 then
        options.fail("plot: gnuplot draws the files, and it is not installed (apt install gnuplot-nox); "
            .. "without a file the plot is drawn in the terminal")
    elseif not done or not files.exists(temporary) then
        os.remove(temporary)
        local reason = output:gsub("%s+", " "):gsub("^ ", ""):sub(1, 300)
        options.fail(("plot: gnuplot could not write %s: %s"):format(options.show(path), options.show(reason)))
    end
    if kind == "svg" then
        files.write(path, plot_svg.tidy(files.read(temporary), figure.title))
        os.remove(temporary)
    else
        os.rename(temporary, path)
    end
end

return plot_gnuplot
